"""The law of a zoo: any score table with facts, its largest models predicted from the others."""
