"""The command `regionbatch`: options, one call of the library, printing."""
