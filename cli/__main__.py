"""`python -m cli`, which `./billing` starts."""

import signal

from shared.lasting_imports import lasting_imports

# Before the command begins, Ctrl-C ends it as it ends any program: without Python's traceback.
is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if is_usual:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# The command line draws its tables with one of the modules that the other processes leave out.
with lasting_imports(without=()):
    from cli.commands import main

if is_usual:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if __name__ == "__main__":
    main()
