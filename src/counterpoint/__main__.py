"""`python -m counterpoint` is the same program as `counterpoint`."""

from counterpoint.cli.main import run

if __name__ == "__main__":
    run()
