"""What a user can do, one module per errand; every function takes the settings and returns frozen values.

submitting: a corpus into the queue. progress: how far runs are. reporting: figures of scored documents. dossiers: one
document. steering: runs paused, resumed, cancelled, sooner or later. dead_letters, retrying: what failed, once more.
annotating: a file without queue or database. working: the worker and `eat run`. checking: `eat doctor`.
databases: upgrade, check, backup. Knows no command line, no SQL and no Celery.
"""
