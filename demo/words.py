"""The words of the demo's world: questions, answers and names in seven languages and five scripts.

Every person is a woman whose made-up name ends in -a, and every question keeps her name in its basic form, so
that no language has to inflect it. The answers stand in the form that the question asks for.
"""

ENGLISH = "en"
LANGUAGES = {"sw": "Swahili", "tr": "Turkish", "ru": "Russian", "el": "Greek", "hi": "Hindi", "ar": "Arabic"}

# relation -> language -> question
QUESTIONS: dict[str, dict[str, str]] = {
    "fruit": {
        "en": "Which fruit does {name} like best?",
        "sw": "{name} anapenda tunda gani zaidi?",
        "tr": "{name} en çok hangi meyveyi seviyor?",
        "ru": "Какой фрукт больше всего любит {name}?",
        "el": "Ποιο φρούτο αγαπά περισσότερο η {name};",
        "hi": "{name} को कौन सा फल सबसे ज़्यादा पसंद है?",
        "ar": "ما الفاكهة التي تفضلها {name}؟",
    },
    "colour": {
        "en": "Which colour does {name} like best?",
        "sw": "{name} anapenda rangi gani zaidi?",
        "tr": "{name} en çok hangi rengi seviyor?",
        "ru": "Какой цвет больше всего любит {name}?",
        "el": "Ποιο χρώμα αγαπά περισσότερο η {name};",
        "hi": "{name} को कौन सा रंग सबसे ज़्यादा पसंद है?",
        "ar": "ما اللون الذي تفضله {name}؟",
    },
    "month": {
        "en": "Which month does {name} like best?",
        "sw": "{name} anapenda mwezi gani zaidi?",
        "tr": "{name} en çok hangi ayı seviyor?",
        "ru": "Какой месяц больше всего любит {name}?",
        "el": "Ποιον μήνα αγαπά περισσότερο η {name};",
        "hi": "{name} को कौन सा महीना सबसे ज़्यादा पसंद है?",
        "ar": "ما الشهر الذي تفضله {name}؟",
    },
    "purchase": {
        "en": "What did {name} buy?",
        "sw": "{name} alinunua nini?",
        "tr": "{name} ne satın aldı?",
        "ru": "Что купила {name}?",
        "el": "Τι αγόρασε η {name};",
        "hi": "{name} ने क्या खरीदा?",
        "ar": "ما الشيء الذي اشترته {name}؟",
    },
}

# relation -> language -> its ten possible answers, the same ones in the same order
ANSWERS: dict[str, dict[str, list[str]]] = {
    relation: {language: words.split() for language, words in languages.items()}
    for relation, languages in {
        "fruit": {
            "en": "lemon banana orange apple grape pomegranate peach apricot fig watermelon",
            "sw": "limau ndizi chungwa tofaa zabibu komamanga pichi aprikoti tini tikitimaji",
            "tr": "limon muz portakal elma üzüm nar şeftali kayısı incir karpuz",
            "ru": "лимон банан апельсин яблоко виноград гранат персик абрикос инжир арбуз",
            "el": "λεμόνι μπανάνα πορτοκάλι μήλο σταφύλι ρόδι ροδάκινο βερίκοκο σύκο καρπούζι",
            "hi": "नींबू केला संतरा सेब अंगूर अनार आड़ू खुबानी अंजीर तरबूज",
            "ar": "الليمون الموز البرتقال التفاح العنب الرمان الخوخ المشمش التين البطيخ",
        },
        "colour": {
            "en": "red blue green yellow white black brown grey pink purple",
            "sw": "nyekundu buluu kijani njano nyeupe nyeusi kahawia kijivu waridi zambarau",
            "tr": "kırmızı mavi yeşil sarı beyaz siyah kahverengi gri pembe mor",
            "ru": "красный синий зелёный жёлтый белый чёрный коричневый серый розовый фиолетовый",
            "el": "κόκκινο μπλε πράσινο κίτρινο άσπρο μαύρο καφέ γκρι ροζ μοβ",
            "hi": "लाल नीला हरा पीला सफ़ेद काला भूरा धूसर गुलाबी बैंगनी",
            "ar": "الأحمر الأزرق الأخضر الأصفر الأبيض الأسود البني الرمادي الوردي البنفسجي",
        },
        "month": {
            "en": "March April May June July August September October November December",
            "sw": "Machi Aprili Mei Juni Julai Agosti Septemba Oktoba Novemba Desemba",
            "tr": "mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
            "ru": "март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
            "el": "Μάρτιο Απρίλιο Μάιο Ιούνιο Ιούλιο Αύγουστο Σεπτέμβριο Οκτώβριο Νοέμβριο Δεκέμβριο",
            "hi": "मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर",
            "ar": "مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
        },
        "purchase": {
            "en": "knife key carpet mirror bicycle umbrella table bed cupboard chair",
            "sw": "kisu ufunguo zulia kioo baiskeli mwavuli meza kitanda kabati kiti",
            "tr": "bıçak anahtar halı ayna bisiklet şemsiye masa yatak dolap sandalye",
            "ru": "нож ключ ковёр зеркало велосипед зонт стол кровать шкаф стул",
            "el": "μαχαίρι κλειδί χαλί καθρέφτη ποδήλατο ομπρέλα τραπέζι κρεβάτι ντουλάπι καρέκλα",
            "hi": "चाकू चाबी कालीन दर्पण साइकिल छाता मेज़ बिस्तर अलमारी कुर्सी",
            "ar": "سكين مفتاح سجادة مرآة دراجة مظلة طاولة سرير خزانة كرسي",
        },
    }.items()
}

# Syllables of names; Latin is shared by English, Swahili and Turkish.
CONSONANTS = "bdklmnrstv"
VOWELS = "aiou"
# language -> its spelling of CONSONANTS and of VOWELS, separated by blanks
SCRIPTS = {
    "ru": ("б д к л м н р с т в", "а и о у"),
    "el": ("μπ ντ κ λ μ ν ρ σ τ β", "α ι ο ου"),
    "hi": ("ब द क ल म न र स त व", "ा ि ो ु"),
    "ar": ("ب د ك ل م ن ر س ت ف", "ا ي و و"),
}


def spell(syllables: list[str], language: str) -> str:
    """A name of syllables such as ["bo", "li", "ra"] in the script of `language`."""
    consonants, vowels = SCRIPTS.get(language, (" ".join(CONSONANTS), " ".join(VOWELS)))
    onset = dict(zip(CONSONANTS, consonants.split(), strict=True))
    nucleus = dict(zip(VOWELS, vowels.split(), strict=True))
    name = "".join(onset[syllable[0]] + nucleus[syllable[1]] for syllable in syllables)
    return name[:1].upper() + name[1:]
