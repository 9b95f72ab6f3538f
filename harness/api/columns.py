"""The columns of every table of the Python interface: name, kind, unit, and meaning. ``docs/api.md`` lists them all."""

from __future__ import annotations

from harness.api.contents import TableColumn

_ALL = {
    column.name: column
    for column in (
        # ---- which network
        TableColumn("run", "int", "", "number of the run; none for a model that harness did not train"),
        TableColumn(
            "method", "category", "", "the method with its settings that are not defaults, as on the leaderboard"
        ),
        TableColumn("network", "category", "", "the network with its settings that are not defaults"),
        TableColumn("dataset", "category", "", "name of the data set"),
        TableColumn("dataset_fingerprint", "category", "", "SHA-256 of the data set's images and labels"),
        TableColumn("train_seed", "int", "", "seed of the training; none for a model that harness did not train"),
        TableColumn("attempt", "int", "", "from 1; `fresh` makes another attempt"),
        TableColumn("current", "bool", "", "whether this attempt is the one that the leaderboard counts"),
        TableColumn("checkpoint", "category", "", "`early`, `best`, `last`; `given`: harness did not train the model"),
        TableColumn("checkpoint_epoch", "int", "", "epoch after which the checkpoint was taken"),
        TableColumn("parameters", "int", "", "how many numbers the network's parameters hold"),
        # ---- a run
        TableColumn("identity", "text", "", "SHA-256 of everything that determines the trained network"),
        TableColumn(
            "status",
            "category",
            "",
            "`queued`, `running`, `done`, `failed`, `cancelled`, `lost`, or `preempted`",
        ),
        TableColumn("failure", "text", "", "why the training failed"),
        TableColumn("method_settings", "json", "", "every setting of the method"),
        TableColumn("network_settings", "json", "", "every setting of the network"),
        TableColumn("training", "json", "", "the training part of the protocol"),
        TableColumn("training_sha256", "category", "", "SHA-256 of the training part of the protocol"),
        TableColumn("epochs", "int", "", "epochs of a whole training"),
        TableColumn("epochs_done", "int", "", "epochs trained so far"),
        TableColumn("training_s", "float", "s", "duration of the epochs trained so far"),
        TableColumn("created_utc", "time", "UTC", "when it was begun"),
        TableColumn("finished_utc", "time", "UTC", "when the training ended"),
        TableColumn("device", "category", "", "device that computed it; the first one, if several did"),
        TableColumn("host", "category", "", "machine that computed it; the first one, if several did"),
        TableColumn("folder", "text", "", "folder of its weights and log, below the folder of runs"),
        TableColumn("sha256", "text", "", "SHA-256 that identifies the model: weights, preprocessing, and source"),
        TableColumn("provenance", "json", "", "where it came from, and what was put around it"),
        TableColumn("tags", "json", "", "a person's tags (`harness tag`), a list"),
        # ---- an epoch
        TableColumn("epoch", "int", "", "number of the epoch, from 1"),
        TableColumn("loss", "float", "", "the method's loss, mean over the epoch's batches"),
        TableColumn("lr", "float", "", "learning rate of the epoch's last update"),
        TableColumn("images", "int", "images", "images trained on in the epoch"),
        TableColumn("duration_s", "float", "s", "how long it took; of an evaluation the sum over its blocks"),
        TableColumn("diagnostics", "json", "", "what the method logged: name -> mean over the epoch's batches"),
        TableColumn("part", "category", "", "which images were attacked: `test`, or `train` for training images"),
        TableColumn("quantity", "category", "", "what was counted, such as `weight`: one value an image and batch"),
        TableColumn("bin", "int", "", "number of the bin, from 0"),
        TableColumn("low", "float", "", "lower edge of the bin, which belongs to it"),
        TableColumn("high", "float", "", "upper edge of the bin; it belongs to the last bin alone"),
        TableColumn("count", "int", "", "how many values; the first and the last bin have those beyond the range, too"),
        # ---- an evaluation, a verdict
        TableColumn("evaluation", "int", "", "number of the evaluation: one attack with one seed on one checkpoint"),
        TableColumn("attack", "category", "", "name of the attack; `natural` is the accuracy without one"),
        TableColumn("settings", "json", "", "every setting that identifies the attack's results"),
        TableColumn("settings_sha256", "category", "", "SHA-256 of these settings"),
        TableColumn("epsilon", "float", "pixel scale [0, 1]", "radius of the ball; none where the attack uses no ball"),
        TableColumn("norm", "category", "", "norm of the ball"),
        TableColumn("seed", "int", "", "attack seed, from 0"),
        TableColumn("sample", "category", "", "which test images: `first` of the data set (or all), or `balanced`"),
        TableColumn("examples", "int", "images", "how many test images"),
        TableColumn("done", "int", "images", "how many of them have a verdict"),
        TableColumn("complete", "bool", "", "whether all of them have a verdict"),
        TableColumn("correct", "int", "images", "how many of those with a verdict the network classifies rightly"),
        TableColumn("accuracy_percent", "float", "%", "share of those that are complete; none while it is incomplete"),
        TableColumn("warnings", "json", "", "what the attack warned of"),
        TableColumn("position", "int", "", "the image's number in the evaluation set, from 0"),
        TableColumn(
            "margin", "float", "", "p_y - max over i != y of p_i at the adversarial image, in [-1, 1]; three digits"
        ),
        TableColumn(
            "predicted", "int", "", "class that the network gives the adversarial image; -1: its logits are not finite"
        ),
        # ---- a finding
        TableColumn("examined", "category", "", "`model`, or its stored `verdicts`"),
        TableColumn("check", "category", "", "name of the check of rigour"),
        TableColumn("mark", "category", "", "the flag's character on the leaderboard; empty unless flagged"),
        TableColumn("value", "float", "", "what was measured; its unit depends on the check"),
        TableColumn("threshold", "float", "", "largest value that passes"),
        TableColumn("reason", "text", "", "what was seen, and what it suggests"),
        # ---- a figure of the leaderboard
        TableColumn("source", "category", "", "`measured` here, or `reported` by a publication"),
        TableColumn("protocol", "category", "", "name of the protocol; of reported figures the publication"),
        TableColumn("fingerprint", "category", "", "fingerprint of the protocol; of reported figures the publication"),
        TableColumn("rank", "int", "", "rank on its board; equal figures share a rank"),
        TableColumn("median_percent", "float", "%", "median over attack seeds; of several networks, of their medians"),
        TableColumn(
            "std_percent", "float", "points", "deviation over attack seeds; of several networks its root mean square"
        ),
        TableColumn("n", "int", "", "how many attack seeds"),
        TableColumn("networks", "int", "", "how many networks, each trained from another seed"),
        TableColumn("train_mean_percent", "float", "%", "mean over training seeds; none if a network is at chance"),
        TableColumn("train_std_percent", "float", "points", "standard deviation over training seeds"),
        TableColumn("wilson_low_percent", "float", "%", "lower end of Wilson's 95 % interval over the test images"),
        TableColumn("wilson_high_percent", "float", "%", "upper end of Wilson's 95 % interval over the test images"),
        TableColumn("train_t_low_percent", "float", "%", "lower end of Student's 95 % interval over training seeds"),
        TableColumn("train_t_high_percent", "float", "%", "upper end of Student's 95 % interval over training seeds"),
        TableColumn("tied", "bool", "", "whether the row does not differ significantly from its board's best row"),
        TableColumn("ranked_by", "category", "", "the column by which the board ranks"),
        TableColumn("ranked_rows", "int", "", "how many rows the rank is among, whether they are shown or not"),
        TableColumn("ranked_network", "category", "", "the rank is among rows of this network; none: of any"),
        TableColumn("ranked_checkpoint", "category", "", "the rank is among rows of this checkpoint; none: of any"),
        TableColumn("rank_low", "int", "", "lower end of the rank's 95 % bootstrap interval: the better rank"),
        TableColumn("rank_high", "int", "", "upper end of the rank's 95 % bootstrap interval"),
        TableColumn("rank_drawn", "category", "", "what it draws: `test images`, or these `and training seeds`"),
        TableColumn("flags", "text", "", "the marks of its flags; empty if none was raised, none if not examined"),
        TableColumn("not_judged", "text", "", "the checks that had no baseline to judge by; empty for none"),
        TableColumn("unchecked", "text", "", "the checks that other rows had, and this one not; empty for none"),
        TableColumn("failed", "int", "", "how many training seeds of the row failed; none where none are known"),
        TableColumn("failed_of", "int", "", "of how many training seeds"),
        TableColumn("failed_low_percent", "float", "%", "lower end of the failure rate's exact 95 % interval"),
        TableColumn("failed_high_percent", "float", "%", "upper end of the failure rate's exact 95 % interval"),
        TableColumn("failed_train_seeds", "text", "", "the training seeds that failed, with spaces between them"),
        TableColumn("failed_why", "text", "", "why each of them failed"),
        TableColumn("passes", "float", "passes", "of the training, for each training image, up to the checkpoint"),
        TableColumn("points_per_1000_passes", "float", "points", "accuracy in the column that ranks, for 1000 passes"),
        TableColumn(
            "front", "bool", "", "whether no row of its network is as good for as few passes, and better in one"
        ),
        TableColumn("trained_on", "text", "", "machines and devices of the training"),
        TableColumn("reported_percent", "float", "%", "the figure: a median or a mean, as `statistic` says"),
        TableColumn("statistic", "category", "", "`median` over attack seeds, or `mean` over training seeds"),
        TableColumn("seeds", "int", "", "how many seeds the statistic is taken over"),
        TableColumn("paper", "category", "", "the publication"),
        TableColumn("paper_table", "category", "", "the table of the publication that prints the figure"),
        TableColumn("note", "text", "", "a remark on the figure"),
        # ---- a comparison
        TableColumn("first", "category", "", "what is compared"),
        TableColumn("second", "category", "", "what it is compared with"),
        TableColumn(
            "level",
            "category",
            "",
            "`methods` (over training seeds), `images` (right under every attack seed), `attack seed`, or `class`",
        ),
        TableColumn("class", "category", "", "name of the class"),
        TableColumn("first_run", "int", "", "number of the first network's run"),
        TableColumn("second_run", "int", "", "number of the second network's run"),
        TableColumn("unit", "category", "", "unit of inference: `training seeds` or `test images`"),
        TableColumn("units", "int", "", "how many of these units"),
        TableColumn("first_percent", "float", "%", "accuracy of the first"),
        TableColumn("second_percent", "float", "%", "accuracy of the second"),
        TableColumn("difference_points", "float", "points", "first minus second"),
        TableColumn("low_points", "float", "points", "lower end of the difference's 95 % interval"),
        TableColumn("high_points", "float", "points", "upper end of the difference's 95 % interval"),
        TableColumn("test", "category", "", "`paired t` or `Welch's t` over training seeds, or `McNemar` over images"),
        TableColumn("p", "float", "", "p-value of the test"),
        TableColumn("p_holm", "float", "", "the same, corrected over all classes by Holm's method"),
        TableColumn("margin_points", "float", "points", "the margin of two one-sided tests"),
        TableColumn("p_not_worse", "float", "", "p-value of: the first is worse by the margin or more"),
        TableColumn("p_not_better", "float", "", "p-value of: the first is better by the margin or more"),
        TableColumn("first_seeds", "int", "", "training seeds of the first that the test is over"),
        TableColumn("second_seeds", "int", "", "training seeds of the second that the test is over"),
        TableColumn("correlation", "float", "", "Pearson's, of both methods over the training seeds in common"),
        TableColumn("correlation_low", "float", "", "lower end of the correlation's 95 % interval, by Fisher"),
        TableColumn("correlation_high", "float", "", "upper end of the correlation's 95 % interval, by Fisher"),
        TableColumn("correlation_seeds", "int", "", "how many training seeds the correlation is over"),
        TableColumn(
            "variance_ratio",
            "float",
            "",
            "variance of the difference over the sum of variances; below 1, pairing gains",
        ),
        # ---- what seeds can tell
        TableColumn("deviation_points", "float", "points", "deviation of the difference of one network a side"),
        TableColumn("deviation_low_points", "float", "points", "lower end of the deviation's 95 % interval"),
        TableColumn("deviation_high_points", "float", "points", "upper end of the deviation's 95 % interval"),
        TableColumn("alpha", "float", "", "the level of the test, or of the family of tests"),
        TableColumn("power", "float", "", "chance that the test finds the true difference"),
        TableColumn("comparisons", "int", "", "how many tests share the level: 1, or all pairs of the board's rows"),
        *(
            TableColumn(f"{side}_{name}", "float", "", f"{what}, of 1")
            for side in ("first", "second")
            for name, what in (
                ("test_set_share", f"share of the test set in the variance of the {side} over training seeds"),
                ("share_low", "lower end of that share's 95 % interval"),
                ("share_high", "upper end of that share's 95 % interval"),
            )
        ),
        TableColumn("given", "category", "", "what was given: the `seeds` that there are, or the `difference`"),
        TableColumn("true_points", "float", "points", "the true difference that is found"),
        TableColumn("seeds_a_method", "int", "", "training seeds a method that find it; none: over 10000"),
        TableColumn(
            "most_seeds_a_method", "int", "", "the same, if the deviation is at its upper end; none: over 10000"
        ),
    )
}


_OF_TRAINING = (
    TableColumn("training_s", "float", "s", "duration of the training up to the checkpoint, of one network"),
)
_OF_VERDICT = TableColumn("correct", "bool", "", "whether the network classifies the image rightly under the attack")
_DEPARTURES = TableColumn("settings", "json", "", "the attack's settings that are not its defaults")
_REMARK = TableColumn("note", "text", "", "a person's remark (`harness note`)")
_OF_FINDING = TableColumn("status", "category", "", "`passed`, `flagged`, or `not-applicable`")
_OF_POINT = (
    TableColumn("epoch", "int", "", "epoch after which the network was measured, from 1"),
    TableColumn("images", "int", "images", "how many images were attacked, a balanced sample"),
    TableColumn("correct", "int", "images", "how many of them the network classifies rightly"),
    TableColumn("accuracy_percent", "float", "%", "their share"),
)


def columns(*names: str, own: tuple[TableColumn, ...] = ()) -> tuple[TableColumn, ...]:
    """The columns of these names; ``own`` are those that mean something else in this table than elsewhere."""
    known = _ALL | {column.name: column for column in own}
    return tuple(known[name] for name in names)


NETWORK = ("run", "method", "network", "dataset", "dataset_fingerprint", "train_seed", "attempt", "current")
OF_EVALUATION = ("attack", "settings_sha256", "epsilon", "norm", "seed", "sample", "examples")

RUNS = columns(
    *NETWORK,
    *("status", "failure", "epochs", "epochs_done", "training_s", "created_utc", "finished_utc", "device", "host"),
    *("parameters", "identity", "training_sha256", "method_settings", "network_settings", "training", "folder"),
    *("note", "tags"),
    own=(_REMARK,),
)
MODELS = columns(
    *("method", "network", "dataset", "dataset_fingerprint", "parameters", "created_utc", "sha256", "provenance"),
    *("note", "tags"),
    own=(_REMARK,),
)
EPOCHS = columns(*NETWORK, "epoch", "loss", "lr", "images", "duration_s", "diagnostics")
CURVES = columns(
    *(*NETWORK, "part", "attack", "settings_sha256", "epsilon", "norm"),
    *("epoch", "images", "correct", "accuracy_percent", "settings"),
    own=_OF_POINT,
)
OF_BIN = columns("bin", "low", "high", "count")
HISTOGRAMS = (*columns(*NETWORK, "epoch", "quantity"), *OF_BIN)
EVALUATIONS = columns(
    *("evaluation", *NETWORK, "checkpoint", "checkpoint_epoch", *OF_EVALUATION, "done", "complete", "correct"),
    *("accuracy_percent", "duration_s", "created_utc", "device", "host", "settings", "warnings"),
)
OF_IMAGE = columns("position", "correct", "margin", "predicted", own=(_OF_VERDICT,))
VERDICTS = (*columns("evaluation", *NETWORK, "checkpoint", *OF_EVALUATION), *OF_IMAGE)
FINDINGS = columns(
    *(*NETWORK, "checkpoint", "examined", "epsilon", "norm", "sample", "examples", "check", "status", "mark"),
    *("value", "threshold", "reason", "created_utc"),
    own=(_OF_FINDING,),
)
REPORTED = columns(
    *("paper", "paper_table", "dataset", "network", "method", "checkpoint", "attack", "reported_percent"),
    *("std_percent", "statistic", "seeds", "note"),
)
METRICS = columns(
    *("attack", "median_percent", "std_percent", "n", "wilson_low_percent", "wilson_high_percent", "settings"),
    own=(_DEPARTURES,),
)
CHECKED = columns("check", "status", "mark", "value", "threshold", "reason", own=(_OF_FINDING,))
COMPARISON = columns(
    *("first", "second", "dataset", "attack", "sample", "examples", "level", "train_seed", "seed", "class"),
    *("first_run", "second_run", "unit", "units", "first_percent", "second_percent", "difference_points"),
    *("low_points", "high_points", "test", "p", "p_holm", "margin_points", "p_not_worse", "p_not_better"),
    *("first_seeds", "second_seeds", "correlation", "correlation_low", "correlation_high", "correlation_seeds"),
    "variance_ratio",
)
RANK_INTERVAL = columns("rank_low", "rank_high", "rank_drawn")
COST = columns("passes", "points_per_1000_passes", "front", "training_s", "trained_on", own=_OF_TRAINING)
POWER = columns(
    *("first", "second", "dataset", "attack", "sample", "examples", "unit", "units", "test"),
    *("deviation_points", "deviation_low_points", "deviation_high_points", "alpha", "power", "comparisons"),
    *("given", "true_points", "seeds_a_method", "most_seeds_a_method"),
    *(f"{side}_{name}" for side in ("first", "second") for name in ("test_set_share", "share_low", "share_high")),
)
