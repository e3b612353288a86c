"""The entry point of `python -m tf_lottery` and of the console script."""

import os
import sys


def main() -> None:
    """Run the command line. An error that the user can correct is printed on one line and exits with 2."""
    try:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
            sys.exit(f"Error: Expected KERAS_BACKEND=tensorflow. Received: {os.environ['KERAS_BACKEND']}")
        from tf_lottery import terminal
        from tf_lottery.cli import app
        from tf_lottery.errors import LotteryError

        try:
            with terminal.flushed():
                app()
        except LotteryError as error:
            print(f"Error: {error}", file=sys.stderr)
            sys.exit(2)
        except OSError as error:  # such as a path that the system refuses
            print(f"Error: {error}", file=sys.stderr)
            sys.exit(1)
    except KeyboardInterrupt:
        print("Interrupted.")
        sys.exit(130)


if __name__ == "__main__":
    main()
