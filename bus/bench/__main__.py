"""Run the bench without the command line of the hub: `python -m bus.bench exchange`."""

from bus.bench.commands import bench

if __name__ == "__main__":
    bench(prog_name="lienthong bench")
