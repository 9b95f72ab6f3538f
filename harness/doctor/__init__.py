"""What `harness doctor` looks at: the machine, the places that harness writes to, and the store."""
