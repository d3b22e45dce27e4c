"""What the gateway costs, measured beside a plain proxy in the same run: `make bench`."""
