"""What runs inside a sandbox: stands alone (standard library and this folder), to start in milliseconds."""
