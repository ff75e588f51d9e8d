"""Run the command as `python -m bus.cli`."""

from bus.cli import main

main(prog_name="lienthong")
