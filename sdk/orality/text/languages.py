"""Names of languages: one language by its codes, its English name, with a region or without."""

from __future__ import annotations

# ISO 639-1 code: ISO 639-2 and -3 codes and English names that datasets use instead.
_NAMES = """
af afr afrikaans | am amh amharic | ar ara arb arabic | az aze azerbaijani | be bel belarusian
bg bul bulgarian | bn ben bengali bangla | bo bod tib tibetan | bs bos bosnian | ca cat catalan
cs ces cze czech | cy cym wel welsh | da dan danish | de deu ger german | dz dzo dzongkha
el ell gre greek | en eng english | es spa spanish castilian | et est estonian | eu eus baq basque
fa fas per pes persian farsi | fi fin finnish | fr fra fre french | ga gle irish | gl glg galician
gu guj gujarati | ha hau hausa | he heb iw hebrew | hi hin hindi | hr hrv croatian
hu hun hungarian | hy hye arm armenian | id ind indonesian | ig ibo igbo
is isl ice icelandic | it ita italian | ja jpn japanese | jv jav javanese | ka kat geo georgian
kk kaz kazakh | km khm khmer | kn kan kannada | ko kor korean | ky kir kyrgyz | lb ltz luxembourgish
lo lao | lt lit lithuanian | lv lav lvs latvian | mi mri mao maori | mk mkd mac macedonian
ml mal malayalam | mn mon khk mongolian | mr mar marathi | ms msa may zsm malay | mt mlt maltese
my mya bur burmese myanmar | nb nob bokmal | ne nep npi nepali | nl nld dut dutch flemish
nn nno nynorsk | no nor norwegian | pa pan punjabi | pl pol polish | ps pus pashto
pt por portuguese | ro ron rum romanian | ru rus russian | sd snd sindhi | si sin sinhala
sk slk slo slovak | sl slv slovenian slovene | so som somali | sq sqi alb albanian
sr srp serbian | su sun sundanese | sv swe swedish | sw swa swh swahili | ta tam tamil
te tel telugu | tg tgk tajik | th tha thai | tl tgl fil tagalog filipino | tr tur turkish
uk ukr ukrainian | ur urd urdu | uz uzb uzbek | vi vie vietnamese | xh xho xhosa | yi yid yiddish
yo yor yoruba | zh zho chi cmn chinese mandarin | zu zul zulu
"""
_CODES = {
    name: entry.split()[0]
    for line in _NAMES.strip().splitlines()
    for entry in line.split("|")
    for name in entry.split()
}


def primary(language: str) -> str:
    """A language without its region or script: ISO 639-1 where there is such a code.

    `en-US`, `en_GB`, `eng` and `English` are all `en`; a name that is not known stays, in lower
    case.
    """
    name = language.strip().lower().replace("_", "-").partition("-")[0]
    return _CODES.get(name, name)


def is_same(one: str, other: str) -> bool:
    """Whether two names mean one language; regions and scripts are not compared."""
    return primary(one) == primary(other)
