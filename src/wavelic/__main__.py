"""``python -m wavelic``: the command `wavelic`."""

from wavelic.cli.main import run

if __name__ == "__main__":
    run()
