"""New questions on skills that failed answers lacked, by a teacher behind a URL (arXiv 2510.10023)."""
