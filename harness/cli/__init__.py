"""The command line: one module a command. Each parses, calls one engine function, and renders."""
