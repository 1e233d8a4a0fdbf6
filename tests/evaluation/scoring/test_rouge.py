"""ROUGE-L against its definition, in the scripts of all languages of the benchmarks."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from cctuning.evaluation.scoring.rouge import rouge_l
from cctuning.evaluation.scoring.words import folded, words
from tests.evaluation.scoring.made_responses import REAL, real_items, short

SENTENCES = {
    "am": "ከተማዋ በወንዝ ዳርቻ ላይ ትገኛለች",
    "ar": "تقع المَدينة على ضفّة النهر",
    "bg": "Градът лежи край реката",
    "bn": "শহরটি নদীর তীরে অবস্থিত",
    "de": "Die Stadt liegt am Fluss",
    "el": "Η πόλη βρίσκεται στο ποτάμι",
    "en": "The city lies by the river",
    "es": "La ciudad está junto al río",
    "et": "Linn asub jõe ääres",
    "eu": "Hiria ibaiaren ondoan dago",
    "fr": "L'école est au bord de la rivière",
    "he": "העיר שוכנת על גדת הנהר",
    "hi": "शहर नदी के किनारे स्थित है",
    "ht": "Vil la sou bò larivyè a",
    "id": "Kota itu terletak di tepi sungai",
    "it": "La città si trova sul fiume",
    "ja": "都市は川のほとりにあります",
    "km": "ទីក្រុងស្ថិតនៅមាត់ទន្លេ",
    "ko": "도시는 강가에 있습니다",
    "lo": "ເມືອງຕັ້ງຢູ່ແຄມແມ່ນ້ໍາ",
    "my": "မြို့သည်မြစ်ကမ်းဘေးတွင်ရှိသည်",
    "pt": "A cidade fica à beira do rio",
    "qu": "Llaqtaqa mayu patanpi kachkan",
    "ro": "Orașul se află lângă râu",
    "ru": "Город стоит на берегу реки",
    "sv": "Staden ligger vid ån",
    "sw": "Mji uko kando ya mto",
    "ta": "நகரம் ஆற்றங்கரையில் உள்ளது",
    "te": "నగరం నది ఒడ్డున ఉంది",
    "th": "เมืองตั้งอยู่ริมแม่น้ำ",
    "tl": "Nasa tabi ng ilog ang lungsod",
    "tr": "Şehir ırmağın kıyısında",
    "uk": "Місто стоїть біля річки",
    "ur": "شہر دریا کے کنارے واقع ہے",
    "vi": "Thành phố nằm bên bờ sông",
    "yo": "Ìlú náà wà létí odò",
    "zh": "城市坐落在河边",
}


def longest_common(left, right):
    """By trying every subsequence of the shorter, longest first."""
    shorter, longer = sorted((left, right), key=len)
    for length in range(len(shorter), 0, -1):
        for chosen in itertools.combinations(shorter, length):
            rest = iter(longer)
            if all(word in rest for word in chosen):
                return length
    return 0


def test_many_languages():
    assert len(SENTENCES) >= 22


@pytest.mark.parametrize("language", SENTENCES)
def test_one_for_the_same_and_zero_for_nothing_in_common(language):
    sentence = SENTENCES[language]
    assert rouge_l(sentence, short(sentence, language=language)) == 1
    if language != "tr":  # Python's upper case is not Turkish
        assert rouge_l(f" {sentence.upper()}!", short(sentence, language=language)) == 1
    other = SENTENCES["ko" if language != "ko" else "sw"]
    assert rouge_l(other, short(sentence, language=language)) == 0
    assert rouge_l("", short(sentence, language=language)) == 0
    assert 0 < rouge_l(sentence[: len(sentence) // 2 + 3], short(sentence, language=language)) < 1


def test_what_words_are():
    assert words("हिन्दी में लिखी किताब") == ["हिन्दी", "में", "लिखी", "किताब"]  # vowel signs stay
    assert words("اللُّغَة العربيّة،") == ["اللُّغَة", "العربيّة"]
    assert words("నగరం, ఉంది") == ["నగరం", "ఉంది"]
    assert words("我爱ABC公司，3.5万") == ["我", "爱", "ABC", "公", "司", "3.5", "万"]
    assert words("東京タワーに") == ["東", "京", "タワー", "に"]
    assert words("กำลัง") == ["ก", "ำ", "ลั", "ง"]
    assert words("don't l'État x-y") == ["don't", "l'État", "x", "y"]
    assert words(" — ... !") == []


def test_what_is_folded():
    assert folded("ＡＢＣ １２") == "abc 12"
    assert folded("e\u0301") == "é"
    assert folded("\ufeffa\u200db\u200f") == "ab"
    assert folded("ΤΟΥΣ") == folded("τους")
    assert folded("ISPARTA İZMİR", "tr") == "ısparta izmir" == folded("ısparta izmir", "tr")
    assert folded("ISPARTA", "en") == "isparta"


def test_the_best_of_several_texts():
    item = short("one two three", "four five")
    assert rouge_l("four five", item) == 1


@given(
    st.lists(st.sampled_from(["город", "ता", "河", "à"]), min_size=1, max_size=7),
    st.lists(st.sampled_from(["город", "ता", "河", "à", "x"]), min_size=1, max_size=7),
)
def test_definition(gold, response):
    common = longest_common(gold, response)
    expected = 2 * common / (len(gold) + len(response))
    assert rouge_l(" ".join(response), short(" ".join(gold))) == pytest.approx(expected)


@given(st.text(alphabet="abc XYZ1 ", max_size=20), st.text(alphabet="abc XYZ1 ", max_size=20))
def test_plain_english_as_the_library_scores_it(gold, response):
    library = RougeScorer(["rougeL"]).score(gold, response)["rougeL"].fmeasure
    assert rouge_l(response, short(gold)) == pytest.approx(library)


@pytest.mark.skipif(REAL is None, reason="CCTUNING_BENCHMARKS names no folder")
def test_real_summaries():
    items = list(real_items("XLSum", 30))
    if not items:
        pytest.skip(f"no XLSum in {REAL}")
    for item in items:
        assert rouge_l(item.answers[0], item) == 1
        assert rouge_l("", item) == 0 == rouge_l("ꦱꦶ", item)
