"""The only place where a mask meets a kernel."""
