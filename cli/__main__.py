"""`python -m cli`, which `./billing` starts."""

from cli.commands import main

if __name__ == "__main__":
    main()
