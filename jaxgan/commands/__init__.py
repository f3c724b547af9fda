"""One file a command: options in, one function call, an exit code out."""
