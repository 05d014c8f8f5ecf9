"""`python -m regionbatch_cli` is `regionbatch`."""

from regionbatch_cli.main import main

if __name__ == "__main__":  # workers of Dask import this module
    main()
