"""The paper's method, standard library only: no model, queue, database, clock, randomness or file is known here."""
