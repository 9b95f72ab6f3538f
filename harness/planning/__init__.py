"""From a request to the work that is missing: requests are checked, compared with the store, and costed."""
