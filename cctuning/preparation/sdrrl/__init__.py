"""+SDRRL: rows distilled from the model's own English answers (Zhang et al., arXiv 2402.12204).

`cctuning prepare sdrrl --help`. Data flows down this list:

    draw.py        which rows serve which kind
    answers.py     the model's English answers, kept as they come
    words.py       the words of a text
    parallel.py    pairs of parallel texts: statistical word alignment
    lexicon.py     word pairs from a file instead
    switching.py   words of a text exchanged for the other language's, and back
    kinds.py       the rows of each kind
    build.py       picks, answers and translations put together
    report.py      the files that are left, and what is said at the end
    make.py        all of these, one after another
"""
