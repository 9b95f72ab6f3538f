"""Where work items are performed: in this process, or in several side by side."""
