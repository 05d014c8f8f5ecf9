"""Fuzzing of the readers: inputs, mutations, and the checks that must hold for any input."""
