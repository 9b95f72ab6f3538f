"""Views for people who read the database with their own tools; docs/database.md says what they show.

SQLite refuses to rebuild a table that a view reads. So a later step that rebuilds one drops the views first, and makes
them again.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NOTHING = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # the digest of {}: no settings

# the newest attempt of each identity that is done: the runs that count on the leaderboard
_NEWEST_RUNS = "SELECT MAX(id) FROM runs WHERE status = 'done' GROUP BY identity"

RUNS = f"""
CREATE VIEW runs_overview AS
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

# An attempt counts if no newer one was begun, complete or not: so does the leaderboard.
EVALUATIONS = f"""
CREATE VIEW evaluations_overview AS
WITH judged AS (
    SELECT evaluation_id, SUM(examples) AS done, SUM(correct) AS correct, SUM(duration_s) AS duration_s
    FROM blocks GROUP BY evaluation_id
), attempts AS (
    SELECT evaluations.*, MAX(attempt) OVER (
        PARTITION BY checkpoint_id, attack, settings_sha256, seed, examples, sample
    ) AS newest
    FROM evaluations
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
    COALESCE(judged.done, 0) AS done,
    COALESCE(judged.correct, 0) AS correct,
    CASE WHEN judged.done = attempts.examples
        THEN CAST(100.0 * judged.correct AS DOUBLE PRECISION) / attempts.examples END AS percent,
    CASE WHEN judged.done = attempts.examples THEN 1 ELSE 0 END AS complete,
    attempts.attempt,
    CASE WHEN judged.done = attempts.examples
        AND attempts.attempt = attempts.newest
        AND (models.id IS NOT NULL OR runs.id IN ({_NEWEST_RUNS})) THEN 1 ELSE 0 END AS counts,
    judged.duration_s,
    attempts.created_utc
FROM attempts
JOIN checkpoints ON checkpoints.id = attempts.checkpoint_id
LEFT JOIN runs ON runs.id = checkpoints.run_id
LEFT JOIN models ON models.id = checkpoints.model_id
JOIN datasets ON datasets.id = COALESCE(runs.dataset_id, models.dataset_id)
LEFT JOIN judged ON judged.evaluation_id = attempts.id
"""

# A run is on the boards of the protocols that it was trained under. A model from elsewhere is on every board that has
# runs evaluated by the same attacks; if there is none, on that of the last protocol. Equal protocols are one board. An
# attack without settings, such as natural accuracy, puts nothing on a board.
LEADERBOARD = f"""
CREATE VIEW leaderboard_by_network AS
WITH counted AS (
    SELECT * FROM evaluations_overview WHERE counts = 1
), alike AS (
    SELECT MAX(id) AS id, MIN(id) AS turn, training_sha256, CAST(attacks AS TEXT) AS attacks
    FROM protocols GROUP BY training_sha256, CAST(attacks AS TEXT)
), asked AS (
    SELECT
        alike.id AS protocol_id,
        alike.turn,
        alike.training_sha256,
        each_attack.key AS attack,
        each_attack.value AS settings_sha256,
        CASE WHEN each_attack.value = '{_NOTHING}' THEN 0 ELSE 1 END AS has_settings
    FROM alike, %(each)s AS each_attack
), telling AS (
    SELECT asked.*, MAX(has_settings) OVER (PARTITION BY protocol_id) AS most FROM asked
), eligible AS (
    SELECT DISTINCT
        counted.checkpoint_id,
        counted.run,
        counted.dataset_fingerprint,
        counted.sample,
        counted.examples,
        telling.protocol_id,
        telling.turn
    FROM counted
    JOIN telling ON telling.attack = counted.attack
        AND telling.settings_sha256 = counted.settings_sha256
        AND telling.has_settings = telling.most
        AND (counted.run IS NULL OR counted.training_sha256 = telling.training_sha256)
), with_runs AS (
    SELECT DISTINCT dataset_fingerprint, sample, examples, protocol_id FROM eligible WHERE run IS NOT NULL
), choices AS (
    SELECT
        eligible.*,
        CASE WHEN with_runs.protocol_id IS NULL THEN 0 ELSE 1 END AS beside_runs,
        MAX(CASE WHEN with_runs.protocol_id IS NULL THEN 0 ELSE 1 END) OVER of_model AS any_beside_runs,
        MAX(eligible.turn) OVER of_model AS last_turn
    FROM eligible
    LEFT JOIN with_runs ON with_runs.dataset_fingerprint = eligible.dataset_fingerprint
        AND with_runs.sample = eligible.sample
        AND with_runs.examples = eligible.examples
        AND with_runs.protocol_id = eligible.protocol_id
    WINDOW of_model AS (PARTITION BY eligible.checkpoint_id, eligible.sample, eligible.examples)
), placed AS (
    SELECT protocol_id, checkpoint_id, sample, examples FROM choices
    WHERE run IS NOT NULL OR beside_runs = 1 OR (any_beside_runs = 0 AND turn = last_turn)
), ordered AS (
    SELECT
        placed.protocol_id,
        counted.*,
        ROW_NUMBER() OVER (
            PARTITION BY placed.protocol_id, counted.checkpoint_id, counted.sample, counted.examples, counted.attack
            ORDER BY counted.percent
        ) AS place,
        COUNT(*) OVER (
            PARTITION BY placed.protocol_id, counted.checkpoint_id, counted.sample, counted.examples, counted.attack
        ) AS seeds
    FROM placed
    JOIN asked ON asked.protocol_id = placed.protocol_id
    JOIN counted ON counted.checkpoint_id = placed.checkpoint_id
        AND counted.sample = placed.sample
        AND counted.examples = placed.examples
        AND counted.attack = asked.attack
        AND counted.settings_sha256 = asked.settings_sha256
), figures AS (
    SELECT
        protocol_id,
        MIN(evaluation) AS evaluation,
        MIN(seeds) AS seeds,
        AVG(CASE WHEN place IN ((seeds + 1) / 2, (seeds + 2) / 2) THEN percent END) AS median_percent,
        MIN(percent) AS least_percent,
        MAX(percent) AS most_percent
    FROM ordered GROUP BY protocol_id, checkpoint_id, sample, examples, attack
)
SELECT
    counted.dataset,
    counted.dataset_fingerprint,
    protocols.name AS protocol,
    protocols.fingerprint AS protocol_fingerprint,
    counted.sample,
    counted.examples,
    counted.run,
    counted.model,
    counted.method,
    counted.method_departures,
    counted.wrappers,
    counted.network,
    counted.network_departures,
    counted.train_seed,
    counted.checkpoint_id,
    counted.checkpoint,
    counted.attack,
    counted.settings_sha256,
    counted.epsilon,
    figures.seeds,
    figures.median_percent,
    figures.least_percent,
    figures.most_percent
FROM figures
JOIN counted ON counted.evaluation = figures.evaluation
JOIN protocols ON protocols.id = figures.protocol_id
"""

FINDINGS = """
CREATE VIEW findings_overview AS
SELECT
    examinations.id AS examination,
    runs.id AS run,
    models.id AS model,
    COALESCE(runs.method, models.name) AS method,
    COALESCE(runs.network, models.network) AS network,
    datasets.name AS dataset,
    checkpoints.id AS checkpoint_id,
    checkpoints.name AS checkpoint,
    %(kind)s AS kind,
    findings."check" AS check_name,
    findings.status,
    findings.mark,
    findings.value,
    findings.threshold,
    findings.reason,
    examinations.settings,
    examinations.created_utc
FROM findings
JOIN examinations ON examinations.id = findings.examination_id
JOIN checkpoints ON checkpoints.id = examinations.checkpoint_id
LEFT JOIN runs ON runs.id = checkpoints.run_id
LEFT JOIN models ON models.id = checkpoints.model_id
JOIN datasets ON datasets.id = COALESCE(runs.dataset_id, models.dataset_id)
"""

_SQLITE = {
    "epsilon": "CAST(json_extract(attempts.settings, '$.epsilon') AS DOUBLE PRECISION)",
    "kind": "json_extract(examinations.settings, '$.kind')",
    "each": "json_each(alike.attacks)",
}
_POSTGRESQL = {
    "epsilon": "CAST(attempts.settings ->> 'epsilon' AS DOUBLE PRECISION)",
    "kind": "(examinations.settings ->> 'kind')",
    "each": "json_each_text(CAST(alike.attacks AS JSON))",
}


def upgrade() -> None:
    """Make the views. SQLite and PostgreSQL read JSON by different functions; all else is the same."""
    json = _SQLITE if op.get_context().dialect.name == "sqlite" else _POSTGRESQL
    for view in (RUNS, EVALUATIONS, LEADERBOARD, FINDINGS):
        op.execute(view % json)
