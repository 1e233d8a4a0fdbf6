"""Words that stand beside the label of an answer, by language: "the answer IS B", "B입니다", "OPTION B".

They are no complete grammar. A label that is the first or the last word of a sentence is read without them;
they say where else it is one: before a verb that comes last (Hindi, Tamil, Amharic), with an ending of its
own (Korean, Japanese, Turkish), or followed by a reason.
"""

# Forms of "is", and what else links an answer with its label.
VERBS: dict[str, str] = {
    "am": "ነው ናት ናቸው ይሆናል",
    "ar": "هو هي هى",
    "bn": "হল হলো হ'ল হবে হয় হচ্ছে",
    "de": "ist lautet wäre sein",
    "el": "είναι",
    "en": "is was be would",
    "es": "es sería ser",
    "et": "on oleks",
    "eu": "da dira litzateke",
    "fr": "est serait être",
    "hi": "है हैं होगा होगी हो",
    "ht": "se ye",
    "id": "adalah ialah yaitu",
    "it": "è sarebbe essere",
    "ja": "は が",
    "nl": "is luidt zijn",
    "pt": "é seria ser",
    "ru": "это есть является",
    "sv": "är vore",
    "sw": "ni",
    "ta": "ஆகும் என்பது தான் இருக்கும்",
    "te": "అవుతుంది అనేది ఉంటుంది",
    "th": "คือ เป็น",
    "tl": "ay ang",
    "tr": "olur olacaktır",
    "uk": "це є",
    "ur": "ہے ہیں ہوگا ہو",
    "vi": "là",
    "yo": "ni",
    "zh": "是 为 為 选 選",
}

# Beginnings of words for an answer, an option, a letter, for choosing, and for "right".
NOUNS: dict[str, str] = {
    "am": "መልስ መልሱ ምርጫ አማራጭ ትክክል ትክክለ እመርጣ",
    "ar": "الإجابة الاجابة الجواب إجابة الخيار خيار الحرف صحيح أختار اختار",
    "bn": "উত্তর বিকল্প সঠিক বেছে",
    "de": "antwort option möglichkeit richtig korrekt wähl nehme",
    "el": "απάντηση επιλογή σωστ επιλέγ διαλέγ",
    "en": "answer option choice correct right choos pick select",
    "es": "respuesta opción letra correct elij escoj",
    "et": "vastus valik variant õige valin",
    "eu": "erantzun aukera zuzen",
    "fr": "réponse option choix lettre correct bonne choisi",
    "hi": "उत्तर जवाब विकल्प सही चुन",
    "ht": "repons opsyon chwa kòrèk chwazi",
    "id": "jawaban pilihan opsi benar memilih pilih",
    "it": "risposta opzione scelta corrett giust scelg scegl",
    "ja": "答え 回答 正解 正答 選択肢 選",
    "ko": "답 정답 대답 선택지 보기 옵션 맞 옳 선택 고르 고릅",
    "nl": "antwoord optie keuze juist correct kies",
    "pt": "resposta opção alternativa letra corret escolh",
    "ru": "ответ вариант правильн верн выб",
    "sv": "svar alternativ rätt välj",
    "sw": "jibu jawabu chaguo sahihi chagua nachagua",
    "ta": "பதில் விடை விருப்பம் சரி தேர்",
    "te": "సమాధానం జవాబు ఎంపిక సరైన ఎంచు",
    "th": "คำตอบ ข้อ ตัวเลือก ถูก เลือก",
    "tl": "sagot opsyon pagpipilian tama pinili pinipili piliin",
    "tr": "cevap cevab yanıt seçenek seçeneğ şık doğru seç",
    "uk": "відповідь варіант правильн обира вибира",
    "ur": "جواب انتخاب اختیار درست صحیح چن منتخب",
    "vi": "đáp câu phương chọn đúng",
    "yo": "ìdáhùn idahun àṣàyàn asayan yan",
    "zh": "答案 选项 選項 正确 正確",
}

# What is written as one with a label of Latin letters or digits.
ENDINGS: dict[str, str] = {
    "ja": "番 です である だ が は を も と の になり で",
    "ko": "번 입니 이다 이에요 예요 이며 이고 이라 라고 인 임 이 가 은 는 을 를 도 와 과 로 으로",
    "ta": "-ஆகும் -தான் தான் ஆகும்",
    "th": "ครับ ค่ะ",
    "tr": "'dir 'dır 'dur 'dür 'tir 'tır 'tur 'tür 'yi 'yı 'i 'ı",
    "zh": "项 項 是 为 為 选 選 正",
}

# The same for the letters of lists in the language: fewer, for most endings make another word of a letter.
ENDINGS_OF_LOCAL_LETTERS: dict[str, str] = {"ko": "번 입니 이다 이에요 예요"}

# Labels that are a word of the language. Before another word, at the start of a sentence, they are that.
ONE_LETTER_WORDS: dict[str, str] = {
    "en": "A I",
    "es": "A E O U Y",
    "fr": "A Y",
    "ht": "A",
    "it": "A E I O",
    "ko": "가 나 다 마 바 사 아",
    "nl": "U",
    "pt": "A E O",
    "sv": "I",
    "tl": "O",
    "tr": "O",
    "yo": "A E O",
}

# What a reason begins with: a letter before it is a label, also where it could be a word ("A because ...").
REASONS: dict[str, str] = {
    "de": "weil da denn",
    "en": "because since",
    "es": "porque ya pues",
    "et": "sest kuna",
    "eu": "zeren",
    "fr": "car parce puisque",
    "ht": "paske",
    "id": "karena sebab",
    "it": "perché poiché",
    "ko": "왜냐하면",
    "nl": "omdat want",
    "pt": "porque pois",
    "sv": "eftersom därför",
    "sw": "kwa",
    "tl": "dahil sapagkat",
    "tr": "çünkü",
    "vi": "vì bởi",
    "yo": "nítorí torí",
}

# Words by which a sentence is known to be English: only there the letters A and I are English words.
ENGLISH_WORDS = ("the", "of", "and", "are", "has", "have", "that", "this", "with", "it")

WITHOUT_BLANKS = frozenset({"ja", "th", "zh"})
