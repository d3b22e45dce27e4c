"""What the gateway costs, measured beside others in the same run: `make bench`, `make bench-peers`."""
