"""What counts in the views: the newest complete attempt at an evaluation, and no trial of a tuning.

An attempt that was begun later, and stopped, took the figure of the complete one away; and a trial had ``counts = 1``,
though no board counts it. The columns of both views stay, so other views that read them do, too.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TRIAL_SEED = 10_000  # the training seed of every trial of `harness tune`

# the newest attempt of each identity that is done, and is no trial: the runs that count on the leaderboard
_NEWEST_RUNS = f"SELECT MAX(id) FROM runs WHERE status = 'done' AND train_seed <> {_TRIAL_SEED} GROUP BY identity"

RUNS = f"""
CREATE %(replacing)sVIEW runs_overview AS
SELECT
    runs.id AS run,
    runs.method,
    runs.method_departures,
    runs.wrappers,
    runs.network,
    runs.network_departures,
    datasets.name AS dataset,
    datasets.fingerprint AS dataset_fingerprint,
    runs.training_sha256,
    runs.train_seed,
    runs.attempt,
    runs.status,
    runs.failure,
    CASE WHEN runs.id IN ({_NEWEST_RUNS}) THEN 1 ELSE 0 END AS counts,
    runs.parameters,
    (SELECT COUNT(*) FROM epochs WHERE epochs.run_id = runs.id) AS epochs,
    (SELECT SUM(epochs.duration_s) FROM epochs WHERE epochs.run_id = runs.id) AS training_s,
    runs.folder,
    runs.created_utc,
    runs.finished_utc
FROM runs
JOIN datasets ON datasets.id = runs.dataset_id
"""

# An attempt counts if it is complete, and no newer one is: so does the leaderboard.
EVALUATIONS = f"""
CREATE %(replacing)sVIEW evaluations_overview AS
WITH judged AS (
    SELECT evaluation_id, SUM(examples) AS done, SUM(correct) AS correct, SUM(duration_s) AS duration_s
    FROM blocks GROUP BY evaluation_id
), attempts AS (
    SELECT
        evaluations.*,
        judged.done,
        judged.correct,
        judged.duration_s,
        MAX(CASE WHEN judged.done = evaluations.examples THEN evaluations.attempt END) OVER (
            PARTITION BY checkpoint_id, attack, settings_sha256, seed, examples, sample
        ) AS newest_complete
    FROM evaluations
    LEFT JOIN judged ON judged.evaluation_id = evaluations.id
)
SELECT
    attempts.id AS evaluation,
    runs.id AS run,
    models.id AS model,
    COALESCE(runs.method, models.name) AS method,
    runs.method_departures,
    runs.wrappers,
    COALESCE(runs.network, models.network) AS network,
    COALESCE(runs.network_departures, models.network_departures) AS network_departures,
    datasets.name AS dataset,
    datasets.fingerprint AS dataset_fingerprint,
    runs.training_sha256,
    runs.train_seed,
    checkpoints.id AS checkpoint_id,
    checkpoints.name AS checkpoint,
    checkpoints.epoch,
    attempts.attack,
    attempts.settings_sha256,
    %(epsilon)s AS epsilon,
    attempts.seed,
    attempts.sample,
    attempts.examples,
    COALESCE(attempts.done, 0) AS done,
    COALESCE(attempts.correct, 0) AS correct,
    CASE WHEN attempts.done = attempts.examples
        THEN CAST(100.0 * attempts.correct AS DOUBLE PRECISION) / attempts.examples END AS percent,
    CASE WHEN attempts.done = attempts.examples THEN 1 ELSE 0 END AS complete,
    attempts.attempt,
    CASE WHEN attempts.attempt = attempts.newest_complete
        AND (models.id IS NOT NULL OR runs.id IN ({_NEWEST_RUNS})) THEN 1 ELSE 0 END AS counts,
    attempts.duration_s,
    attempts.created_utc
FROM attempts
JOIN checkpoints ON checkpoints.id = attempts.checkpoint_id
LEFT JOIN runs ON runs.id = checkpoints.run_id
LEFT JOIN models ON models.id = checkpoints.model_id
JOIN datasets ON datasets.id = COALESCE(runs.dataset_id, models.dataset_id)
"""

_SQLITE = {
    "replacing": "",  # SQLite replaces no view
    "epsilon": "CAST(json_extract(attempts.settings, '$.epsilon') AS DOUBLE PRECISION)",
}
_POSTGRESQL = {
    "replacing": "OR REPLACE ",  # PostgreSQL drops no view that another one reads
    "epsilon": "CAST(attempts.settings ->> 'epsilon' AS DOUBLE PRECISION)",
}


def upgrade() -> None:
    """Make the two views again; ``leaderboard_by_network`` reads the second one by its name, and stays."""
    sqlite = op.get_context().dialect.name == "sqlite"
    for name, view in (("runs_overview", RUNS), ("evaluations_overview", EVALUATIONS)):
        if sqlite:
            op.execute(f"DROP VIEW {name}")
        op.execute(view % (_SQLITE if sqlite else _POSTGRESQL))
