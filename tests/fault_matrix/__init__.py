"""Every fault of a vendor, through the running gateway, against what the contract says of it: `expected.toml`."""
