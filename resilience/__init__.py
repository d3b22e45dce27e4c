"""What the gateway survives: long runs under load that end by themselves and judge what was promised.

`make dead-default`, `make disconnects`, `make soak`, `make rolling-restart`, `make storm`. The gateway runs in a
process of its own; the simulated vendors run in the load's, which changes what they do while it goes on.
"""
