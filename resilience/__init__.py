"""What the gateway survives: long runs under load that check its promises.

`make dead-default`, `make disconnects`, `make soak`, `make rolling-restart`, `make storm`. The
gateway runs in a separate process. The simulated vendors run in the process of the load, which
changes their behaviour during a run.
"""
