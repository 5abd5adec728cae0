"""`python -m cli`, which `./billing` starts."""

from shared.lasting_imports import lasting_imports

# The command line draws its tables with one of the modules that the other processes leave out.
with lasting_imports(without=()):
    from cli.commands import main

if __name__ == "__main__":
    main()
