"""`python -m cli`, which `./billing` starts."""

from shared.lasting_imports import lasting_imports

with lasting_imports():
    from cli.commands import main

if __name__ == "__main__":
    main()
