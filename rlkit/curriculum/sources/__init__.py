"""Where a step's groups come from, a source a file; a preset lists them in the order in which they fill."""
