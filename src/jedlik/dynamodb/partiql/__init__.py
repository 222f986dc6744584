"""The operations that take statements. What a statement means is in `model.partiql`."""
