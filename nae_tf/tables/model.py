"""All members as one Keras model, which is scored, saved and exported."""

import concurrent.futures

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.detector import OutlierDetector
from nae_tf.base.setting_checks import check_integer
from nae_tf.tables import members
from nae_tf.tables.negatives import Displaced, Projected
from nae_tf.tables.training import train

# In single precision the score of an example would depend on its batch.
_SCORE_DTYPE = tf.float64
_MAX_LATENT_DIM = 64


@keras.saving.register_keras_serializable(package="nae_tf")
class TableNAE(OutlierDetector):
    """NAE for tables: two ensembles of small autoencoders.

    The members of the first ensemble see the first `num_values` columns and
    have negative samples of `Projected`; those of the second see all columns
    and have those of `Displaced`. Every member leaves out one fold of the
    training data, whose mean energy is the member's unit: the energy of an
    example is the mean of E_k(x) / E_k(left out) over all members k, about 1
    for inliers.

    Example:
        >>> import numpy as np
        >>> from nae_tf.tables import TableNAE, folds
        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> model = TableNAE(num_columns=3, num_values=3)
        >>> fold = folds(num_rows=200, num_members=4, seed=0)
        >>> model.train_members(x, fold, pretraining_steps=100, steps=100)
        >>> near, far = model.predict_outlier_score([[0.0] * 3, [9.0] * 3])
        >>> bool(near < far)
        True
    """

    def __init__(
        self,
        num_columns: int,
        num_values: int,
        hidden_units: int = 64,
        num_members: int = 4,
        name=None,
        dtype=None,
    ):
        """Make members without training.

        Args:
            num_columns: number of columns, > 0.
            num_values: number of columns that the first ensemble sees, > 0.
            hidden_units: number of hidden units of every network, > 0.
            num_members: number of members of each ensemble, > 1; also the
                number of folds.
            name: name of the model.
            dtype: dtype of the weights; scores have double precision.

        Raises:
            ValueError: if a setting is out of range.
        """
        super().__init__(name=name, dtype=dtype)
        for key, value, smallest in [
            ("num_columns", num_columns, 1),
            ("num_values", num_values, 1),
            ("hidden_units", hidden_units, 1),
            ("num_members", num_members, 2),
        ]:
            check_integer("TableNAE", key, value, smallest)
        self.num_columns = num_columns
        self.num_values = num_values
        self.hidden_units = hidden_units
        self.num_members = num_members
        self.example_shape = (num_columns,)
        self.track("loss")
        self.build((None, num_columns))

    def build(self, input_shape):
        """Create the weights of both ensembles and the members' units."""
        self.ensembles = [
            [
                self.add_weight(shape=draw.shape, initializer="zeros")
                for draw in self._initial_weights(columns, seed=0)
            ]
            for columns in (self.num_values, self.num_columns)
        ]
        self.units = self.add_weight(
            shape=(2, self.num_members),
            initializer="ones",
            dtype="float64",
            trainable=False,
        )
        self.built = True

    def _initial_weights(self, num_columns, seed):
        # On the circle at least: a sphere of one dimension is two points.
        sizes = (
            num_columns,
            self.hidden_units,
            min(max(num_columns, 2), _MAX_LATENT_DIM),
        )
        return members.initial_weights(self.num_members, sizes, seed)

    def train_members(
        self,
        x,
        fold,
        pretraining_steps: int,
        steps: int,
        pretraining_learning_rate: float = 2e-3,
        learning_rate: float = 2e-3,
        batch_size: int = 64,
        seed: int = 0,
        new_weights: bool = True,
    ):
        """Train all members, first as autoencoders.

        Args:
            x: float [rows, num_columns].
            fold: int [rows], as `folds` returns it.
            pretraining_steps: steps of the autoencoders, >= 0.
            steps: steps of NAE after them, >= 0.
            pretraining_learning_rate: highest rate of the first phase, > 0.
            learning_rate: highest rate of the second, > 0. Members with
                `Projected` have half of it: no target bounds their energies.
            batch_size: examples per member and step, > 0.
            seed: int >= 0, of weights, batches and noise.
            new_weights: whether training starts at random weights or goes on.
        """
        x = np.asarray(x, np.float32)

        def trained(number, num_columns, negatives, rate):
            if new_weights:
                weights = self._initial_weights(num_columns, seed + number)
            else:
                # Training has single precision, whatever the weights have.
                weights = [
                    tf.cast(w, tf.float32) for w in self.ensembles[number]
                ]
            for phase, phase_steps, phase_rate in [
                (None, pretraining_steps, pretraining_learning_rate),
                (negatives, steps, rate),
            ]:
                weights = train(
                    x[:, :num_columns],
                    fold,
                    weights,
                    phase_steps,
                    phase_rate,
                    seed + number,
                    batch_size=batch_size,
                    negatives=phase,
                )
            return weights

        jobs = [
            (0, self.num_values, Projected(), 0.5 * learning_rate),
            (1, self.num_columns, Displaced(), learning_rate),
        ]
        # Operations are too small for several threads each.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            results = pool.map(lambda job: trained(*job), jobs)
            for variables, weights in zip(self.ensembles, results, strict=True):
                for variable, weight in zip(variables, weights, strict=True):
                    variable.assign(weight)
        self.units.assign(tf.ones_like(self.units))
        left_out = fold == np.arange(self.num_members)[:, None]
        if not left_out.any():
            left_out = ~left_out
        energy = self.member_energies(x)
        where = np.broadcast_to(left_out, energy.shape)
        # A table may be reconstructed without any error.
        smallest = np.finfo(np.float32).tiny
        self.units.assign(
            np.maximum(np.mean(energy, axis=-1, where=where), smallest)
        )

    def member_energies(self, x) -> np.ndarray:
        """Compute the energies of every member, in the member's unit.

        Args:
            x: float [rows, num_columns].

        Returns:
            float64 [2, members, rows].
        """
        state = self._state
        return np.concatenate(
            [_compiled_energies(batch, *state) for batch in _batches(x)],
            axis=-1,
        )

    def scaled_residuals(self, x) -> list[np.ndarray]:
        """Compute what the members leave unexplained, column by column.

        Args:
            x: float [rows, num_columns].

        Returns:
            For each ensemble float64 [members, rows, its columns]. The energy
            of an example is the mean over ensembles and members of the sum of
            squares.
        """
        state = self._state
        parts = [_compiled_residuals(b, *state) for b in _batches(x)]
        return [np.concatenate(part, 1) for part in zip(*parts, strict=True)]

    def outlier_score(self, x):
        """Score examples by the mean energy of all members.

        Args:
            x: float [batch, num_columns].

        Returns:
            float64 [batch], about 1 for inliers, higher is more outlying.
        """
        energy = _energies(tf.cast(x, _SCORE_DTYPE), *self._state)
        return tf.reduce_mean(energy, [0, 1])

    def objective(self, x, training: bool = False) -> dict:
        """Compute the mean energy, which `fit` lowers as an autoencoder's."""
        return {"loss": tf.reduce_mean(self.outlier_score(x))}

    @property
    def _state(self):
        """Weights of both ensembles and units, as arguments of graphs."""
        weights = [
            [tf.cast(variable, _SCORE_DTYPE) for variable in variables]
            for variables in self.ensembles
        ]
        return weights, tf.convert_to_tensor(self.units)


def _scaled_residuals(x, weights, units):
    """Residuals of each ensemble, whose squares add up to E / unit."""
    found = []
    for number, ensemble in enumerate(weights):
        num_members, num_columns = tf.unstack(tf.shape(ensemble[0])[:2])
        columns = tf.repeat(x[None, :, :num_columns], num_members, axis=0)
        scale = tf.sqrt(units[number] * tf.cast(num_columns, x.dtype))
        residual = members.residuals(columns, ensemble)
        found.append(residual / scale[:, None, None])
    return found


def _energies(x, weights, units):
    """Energies in units, [2, members, batch]."""
    residuals = _scaled_residuals(x, weights, units)
    return tf.stack([tf.reduce_sum(tf.square(r), -1) for r in residuals])


def _shared_graph(function):
    """Compile for tables of any width; weights are arguments."""
    weight = tf.TensorSpec([None, None, None], _SCORE_DTYPE)
    table = tf.TensorSpec([None, None], _SCORE_DTYPE)
    return tf.function(
        function,
        input_signature=[table, [[weight] * 8] * 2, table],
        autograph=False,
    )


_compiled_energies = _shared_graph(_energies)
_compiled_residuals = _shared_graph(_scaled_residuals)


def _batches(x, batch_size=1024):
    """Cut a table into batches of double precision."""
    for start in range(0, len(x), batch_size):
        yield tf.constant(x[start : start + batch_size], _SCORE_DTYPE)
