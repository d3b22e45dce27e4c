"""The gateway's costs, measured beside others in one run: `make bench`, `make bench-peers`."""
