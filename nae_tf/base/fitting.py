"""`compile`, `fit` and `evaluate` of Keras for a method with its own loss.

Settings that such a method would ignore are refused, and labels, names of
columns and budgets in steps are dealt with before Keras sees the data.
"""

import keras

from nae_tf.base.examples import ChecksExamples
from nae_tf.base.input_checks import (
    BAD_INPUT,
    explain_bad_input,
    is_empty,
    pick_in_all,
    refuse_masked,
    refuse_sample_weight,
)
from nae_tf.base.keras_ways import warn_of_distribution
from nae_tf.base.retracing import without_retracing_warnings
from nae_tf.base.saving import deserialize_arguments
from nae_tf.base.step_budget import (
    RECIPE,
    Budget,
    arguments_of_budget,
    is_spent,
)

# Prefix of the names of cached properties that hold a `tf.function`.
COMPILED = "_compiled_"
# Name of the optimizer of `fit(steps=...)` where the user has chosen none.
_OF_RECIPE = "optimizer_of_recipe"


class TrainedByKeras(ChecksExamples):
    """A model with the training loop of Keras and a loss of its own."""

    # What `fit(steps="auto")` stands for.
    budget: Budget = RECIPE.pretraining

    def compile(
        self, optimizer="adam", loss=None, *, jit_compile=False, **kwargs
    ):
        """Configure training; the method brings its own loss.

        As in Keras, a setting that is changed later has no effect on compiled
        graphs, scores and samples included, until the next call of `compile`.

        Args:
            optimizer: a Keras optimizer, its name or its config.
            loss: None, at the position of the argument in Keras.
            jit_compile: whether XLA compiles the training step. On a CPU, XLA
                runs the chains several times slower, on a GPU several times
                faster (docs/guides/performance.md). XLA leaves out the checks
                of a batch's values: NaN ends in a NaN loss.
            **kwargs: further arguments of `keras.Model.compile`.

        Raises:
            ValueError: if a loss or metrics are given, which would be ignored,
                or if XLA is to compile for several parts of a CPU.
        """
        given = kwargs | {"loss": loss}
        for ignored in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if given.get(ignored) is not None:
                raise ValueError(
                    f"{type(self).__name__}.compile: expected no {ignored!r}, "
                    "because the method defines its own; received "
                    f"{given[ignored]!r}. Remove the argument."
                )
        if jit_compile and _divides_cpu(self.distribute_strategy):
            raise ValueError(
                f"{type(self).__name__}.compile: expected jit_compile=False on "
                "several parts of a CPU, because XLA does not reach the "
                "variables of all; leave it out, or train on one device."
            )
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        self._refuse_clipping_of_parts()
        self.forget_graphs()

    def forget_graphs(self):
        """Forget traced graphs, because a setting in them has changed."""
        self.train_function = self.test_function = self.predict_function = None
        for name in [key for key in vars(self) if key.startswith(COMPILED)]:
            delattr(self, name)

    def _refuse_clipping_of_parts(self):
        """Refuse an optimizer that would clip the gradient of each replica.

        Keras clips before it adds up the gradients of the replicas.
        """
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return
        for name in ("clipnorm", "global_clipnorm", "clipvalue"):
            if getattr(self.unscaled_optimizer, name, None) is not None:
                raise ValueError(
                    f"{type(self).__name__}.compile: expected an optimizer "
                    f"without {name} on several replicas, because Keras clips "
                    "the share of each by itself; leave it out, or train on "
                    "one device."
                )

    def get_compile_config(self):
        """Return the arguments of `compile`, serialised, or None."""
        if not self.compiled:
            return None
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "jit_compile": self.jit_compile,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
        }

    def compile_from_config(self, config):
        """Compile a loaded model as it was when it was saved."""
        self.compile(**deserialize_arguments(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    @without_retracing_warnings()
    def fit(
        self,
        x=None,
        y=None,
        *args,
        key: str | None = None,
        steps: int | str | None = None,
        **kwargs,
    ):
        """Train with the arguments of `keras.Model.fit`; labels are ignored.

        The names of a data frame's columns stay with the model and its files.
        Data frames that it is given later are put in order by them.

        Args:
            x: examples, as Keras takes them.
            y: labels, ignored.
            *args: further arguments of `keras.Model.fit`.
            key: name of the examples where `x` is a dictionary or a
                `tf.data.Dataset` of dictionaries, as in tensorflow-datasets.
            steps: number of steps of the training, > 0, whatever the number of
                examples; shown as `epochs` (10) parts of equal length, to which
                it is rounded up. Arrays are shuffled and cut into batches of
                `batch_size` (64). A model that was not compiled trains with
                `recipe_optimizer`. "auto" takes the number of the recipe, which
                is smaller on few examples (`nae_tf.base.step_budget`). None
                means as many as `epochs` passes over the examples take, as in
                Keras.
            **kwargs: further arguments of `keras.Model.fit`.

        Raises:
            ValueError: if there are no examples, they do not fit the model, or
                a number of steps is out of range.
        """
        warn_of_distribution()
        self.forget_graphs_of_other_networks()
        x = pick_in_all(x, key)
        if key is not None and "validation_data" in kwargs:
            kwargs["validation_data"] = pick_in_all(
                kwargs["validation_data"], key
            )
        if is_empty(x):
            raise ValueError(f"{BAD_INPUT} there are no examples to fit.")
        refuse_masked(x)
        x = self._values(x, learn=True)
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self.frame_columns.of_validation(
                f"{type(self).__name__}, validation_data",
                kwargs["validation_data"],
                self.variable_dtype,
            )
        refuse_sample_weight(kwargs.get("sample_weight"))
        with explain_bad_input():
            x = self.prepare_fit(x)
        if steps is None and not self.compiled:
            raise ValueError(
                f"{type(self).__name__}.fit: expected a compiled model; call "
                'compile("adam") before, or give steps="auto", which chooses '
                "optimizer and budget."
            )
        if steps is None and is_spent(self.unscaled_optimizer):
            raise ValueError(
                f"{type(self).__name__}.fit: expected a learning rate above 0, "
                "but that of the optimizer's schedule has come to its end; "
                'call compile("adam") before, or give steps="auto".'
            )
        if steps is not None:
            owner = f"{type(self).__name__}.fit"
            x, kwargs, steps = arguments_of_budget(
                owner, x, steps, self.budget, args, kwargs
            )
            y, args = None, ()
            self._compile_by_recipe(steps, bool(kwargs.get("initial_epoch")))
        try:
            with explain_bad_input():
                history = super().fit(x, y, *args, **kwargs)
        except BaseException:
            # Keras would use a step again that is traced only in part.
            self.train_function = None
            raise
        if history.epoch and not history.history:
            raise ValueError(f"{BAD_INPUT} there are no examples to fit.")
        return history

    def prepare_fit(self, x):
        """Do what a method does once, before its first step of training.

        Args:
            x: examples or batches of them, as `fit` has checked them.

        Returns:
            `x`, or the same examples where reading has used some up.
        """
        return x

    def recipe_optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Make the optimizer of `fit(steps=...)` where none was chosen.

        Args:
            steps: number of steps of the training.
        """
        return keras.optimizers.Adam(self.budget.learning_rate)

    def _compile_by_recipe(self, steps, goes_on):
        """Compile a model that its user has not compiled, for each `fit` anew.

        A learning rate that has fallen to 0 would train nothing again. The name
        tells whose the optimizer is, also after loading.
        """
        if (
            self.compiled
            and not is_spent(self.unscaled_optimizer)
            and (goes_on or self.unscaled_optimizer.name != _OF_RECIPE)
        ):
            return
        optimizer = self.recipe_optimizer(steps)
        optimizer.name = _OF_RECIPE
        self.compile(optimizer)

    @without_retracing_warnings()
    def evaluate(
        self,
        x=None,
        y=None,
        *args,
        key: str | None = None,
        return_dict=False,
        **kwargs,
    ):
        """Evaluate with the arguments of `keras.Model.evaluate`.

        Args:
            x: examples, as Keras takes them.
            y: labels, ignored.
            *args: further arguments of `keras.Model.evaluate`.
            key: name of the examples in dictionaries, as in `fit`.
            return_dict: whether the result is a dictionary.
            **kwargs: further arguments of `keras.Model.evaluate`.

        Raises:
            ValueError: if there are no examples, or they do not fit the model.
        """
        self.forget_graphs_of_other_networks()
        x = pick_in_all(x, key)
        if is_empty(x):
            raise ValueError(f"{BAD_INPUT} there are no examples to evaluate.")
        refuse_masked(x)
        x = self._values(x)
        refuse_sample_weight(kwargs.get("sample_weight"))
        with explain_bad_input():
            shown = super().evaluate(x, y, *args, return_dict=True, **kwargs)
        if not shown:
            raise ValueError(f"{BAD_INPUT} there are no examples to evaluate.")
        # Keras averages over replicas, some of which saw fewer examples.
        results = {
            name: float(mean.result())
            for name, mean in self.means.items()
            if name in shown
        }
        if return_dict:
            return results
        first, *others = results.values()
        return [first, *others] if others else first

    def make_train_function(self, force=False):
        """Compile the training step after the optimizer's state is built.

        Keras builds the state while it traces the first step. If that step is
        refused, the state belongs to a graph that is gone, and no later step
        could train.
        """
        self._build_optimizer()
        return super().make_train_function(force)

    def _build_optimizer(self):
        """Create the optimizer's state, if model and optimizer allow it."""
        if self.built and self.compiled and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def build_for_fit(self, keras_build):
        """Build networks in `fit` that are not built yet.

        With several replicas they must be built before. Keras's method reduces
        a batch over all replicas, which fails on several machines (Keras issue
        20585). It also builds networks in a place where the variables of a
        replay buffer cannot be created.
        """
        if self.distribute_strategy.num_replicas_in_sync == 1:
            keras_build()
        elif not self.built:
            raise ValueError(
                f"{type(self).__name__}: the networks must be built before fit "
                "runs on several replicas; begin them with keras.Input."
            )


def _divides_cpu(strategy):
    """Return whether a strategy has several replicas here that are not GPUs."""
    if strategy.num_replicas_in_sync == 1:
        return False
    devices = strategy.extended.worker_devices
    return not all("GPU" in device.upper() for device in devices)
