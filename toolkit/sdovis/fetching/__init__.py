"""What the field's archives give: planned with sizes, loaded politely, verified, and recorded for the cards to cite."""
