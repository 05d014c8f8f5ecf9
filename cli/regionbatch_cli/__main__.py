"""`python -m regionbatch_cli` is `regionbatch`."""

from regionbatch_cli.main import main

main()
