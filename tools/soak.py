"""Do the same thing for a long time, and see whether it stays right.

    python tools/soak.py kills --kills=1000
                          a training that is killed again and again ends as one
                          that is left alone, bit for bit
    python tools/soak.py serve --seconds=600
                          32 clients ask the servers of an export: errors,
                          latencies, memory
    python tools/soak.py fits --fits=10000
                          memory of a process that fits detectors

Exits with status 1 if something is wrong. What was measured is written into
tools/results/soak. `kills` adds to what is there; for `serve` and `fits` let
the machine do nothing else meanwhile.
"""

import sys

from absl import app

from soaking import fits, kills, serving

TRIALS = {"kills": kills.main, "serve": serving.main, "fits": fits.main}


def main(argv):
    """Run the trial that the command line names."""
    if len(argv) != 2 or argv[1] not in TRIALS:
        sys.exit(f"error: name a trial: {', '.join(TRIALS)}.")
    try:
        TRIALS[argv[1]]()
    except AssertionError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    app.run(main)
