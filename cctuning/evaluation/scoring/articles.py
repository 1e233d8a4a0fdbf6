"""Articles, by language: short words that say nothing about whether an answer is right."""

# Those of MLQA's evaluation (Lewis et al., ACL 2020) for English, Spanish, German and Vietnamese; for the
# other languages of the benchmarks the definite and indefinite articles of their grammars. Languages that
# are not listed have none that stand alone. Case folded, as words are compared.
ARTICLES: dict[str, str] = {
    "ca": "el la els les un una uns unes",
    "de": "ein eine einen einem eines einer der die das den dem des",
    "el": "ο η το οι τα του τησ των τον την τουσ τισ ένασ μία μια ένα",
    "en": "a an the",
    "es": "un una unos unas el la los las",
    "fr": "le la les un une des",
    "it": "il lo la i gli le un uno una",
    "pt": "o a os as um uma uns umas",
    "ro": "un o niște",
    "sv": "en ett den det de",
    "vi": "của là cái chiếc những",
}

# Articles that are written as one with their noun.
PREFIXES: dict[str, str] = {"ar": "ال", "fr": "l' l’", "it": "l' l’ un' un’"}
