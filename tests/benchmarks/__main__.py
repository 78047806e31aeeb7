"""Measure ADAN beside its references: ``make bench``, or ``make bench BENCH=--json``."""

import argparse
import importlib
import sys
from typing import cast

from tests.benchmarks.rows import Row, as_json, print_table

# name: (module, function that returns the row); a module is imported only when its turn comes.
BENCHMARKS = {
    "first-frame": ("starting", "first_frame"),
    "live-screen": ("starting", "live_screen"),
    "help": ("starting", "help_time"),
    "environment": ("environment_steps", "environment_steps"),
    "environment-rows": ("environment_steps", "environment_rows"),
    "environment-more-rows": ("environment_steps", "environment_more_rows"),
    "environment-gym-trading-env": ("environment_peers", "beside_gym_trading_env"),
    "environment-freqai": ("environment_peers", "beside_freqai"),
    "environment-finrl": ("environment_peers", "beside_finrl"),
    "environment-finrl-long": ("environment_peers", "beside_finrl_long"),
    "learning-beside-defaults": ("time_to_target", "time_beside_defaults"),
    "learning-beside-loop": ("time_to_target", "time_beside_loop"),
    "key-to-action": ("keys_while_training", "key_to_action"),
    "kill-key": ("keys_while_training", "kill_key"),
    "key-to-dialogue": ("keys_while_training", "key_to_dialogue"),
    "key-to-help": ("keys_while_training", "key_to_help"),
    "ppo-rate": ("ppo_rate", "ppo_rate"),
    "training-memory": ("ppo_rate", "training_memory"),
    "behaviour": ("decision_latency", "behaviour_latency"),
    "decision": ("decision_latency", "decision_latency"),
    "votes": ("decision_latency", "votes_latency"),
    "features-polars": ("features", "rows_beside_polars"),
    "features-pandas-ta": ("features", "rows_beside_pandas_ta"),
    "features-memory": ("features", "memory_of_features"),
    "state-stream": ("features", "incremental_state"),
    "store-window": ("store_window", "window_time"),
    "store-memory": ("store_window", "window_memory"),
    "store-process": ("store_window", "window_process"),
    "cache-memory": ("cache_hits", "memory_hit"),
    "cache-disk": ("cache_hits", "disk_hit"),
}


def main() -> int:
    """Measure what was asked for; 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="one JSON document")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    rows: list[Row] = []
    for name in arguments.names or BENCHMARKS:
        module, function = BENCHMARKS[name]
        print(f"measuring {name} ...", file=sys.stderr)
        measure = getattr(importlib.import_module(f"tests.benchmarks.{module}"), function)
        rows.append(cast("Row", measure()))
    if arguments.json:
        print(as_json(rows))
    else:
        print_table(rows)
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
