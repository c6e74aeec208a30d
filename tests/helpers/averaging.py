"""Weights averaged by the optimizer: bindings, and the averages by hand."""

MOMENTUM = 0.8
AVERAGING = [
    "training/Adam.use_ema=True",
    f"training/Adam.ema_momentum={MOMENTUM}",
]


def averages(steps):
    """Moving averages after the last of some steps, from the first one on."""
    average = steps[0]
    for weights in steps[1:]:
        average = [
            MOMENTUM * old + (1 - MOMENTUM) * new
            for old, new in zip(average, weights, strict=True)
        ]
    return average
