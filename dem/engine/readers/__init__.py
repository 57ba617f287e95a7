"""How blocks of rows are read: one file per kind of data, all behind `base.Reader`."""
