"""A running run, seen and steered: commands as data, the files that carry them, and the server of the page.

The run and whoever steers it meet in files of the run's folder only (`files.py`): the run never waits for a
server, and goes on as it was where there is none.
"""
