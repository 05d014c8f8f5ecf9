"""All messages of the library and the command, and the rules of language that they must pass."""
