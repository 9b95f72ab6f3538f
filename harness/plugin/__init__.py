"""What a plugin is written against: its contract, its settings, and what crafts adversarial variants."""
