"""`python -m dem.cli`, the same as `dem`."""

from dem.cli import main

if __name__ == "__main__":  # worker processes import this module again
    main(prog_name="dem")
