"""Abbreviations after which a sentence goes on, by language: lower case, without the last full stop.

Those that stand in front of names, dates and glosses in the introductions of Wikipedia. Single letters are not listed:
they are taken for initials in every language.
"""

from __future__ import annotations

_WORDS = {
    "ru": (
        "дж англ нем фр франц исп ит итал лат греч др-греч кит яп укр белор польск пол араб ивр иврит перс тур порт "
        "нидерл голл швед норв дат фин чеш словацк венг рум болг серб хорв эст латыш лит груз арм азерб казах узб "
        "тат башк санскр род ум ок гг вв тыс млн млрд трлн руб долл км кг см мм га обл респ пос дер пгт ул просп "
        "пер им проф акад ген полк св преп нар засл мин макс напр прим сокр букв буквально досл т.е т.д т.п т.н "
        "н.э стр рис табл изд ред авт соч сев юж вост зап центр офиц неофиц разг уст рос сов межд устар совр "
        "первонач также"
    ),
    "uk": (
        "англ нім фр ісп іт лат грец рос пол кит яп араб нар пом бл рр ст тис млн млрд обл вул ім проф акад напр т.зв"
    ),
    "be": "англ ням фр лац руск пол нар бел стар гг ст тыс млн вобл вул імя",
    "bg": "англ нем фр исп лат гр рус тур род поч ок вв хил млн обл ул напр т.нар",
    "sr": "енгл нем фр шп лат грч рус рођ ум ок хиљ млн нпр тзв",
    "de": (
        "bzw ca dt engl franz frz lat griech ital span russ poln türk arab chin jap geb gest eigtl eig auch sog "
        "u.a z.b d.h v.a u.ä usw etc vgl evtl ggf inkl max min mio mrd nr str st dr prof hl jh jhd ehem ev kath "
        "amtl zt insb bes gegr urspr offiz kurz abk abgek sen jun hrsg bd aufl kgl gen mag dipl ing phil nat med "
        "jur rer n.chr v.chr"
    ),
    "nl": (
        "bijv bv ca dhr mevr dr drs mr prof ir ing st geb ovl eng lat fr du sp it afk nl resp incl excl o.a d.w.z "
        "m.b.t enz etc nr blz v.chr n.chr zgn min max jr sr"
    ),
    "fr": (
        "av apr env etc cf ex fig hab ing prof dr mm mme mlle mgr st ste s.a r.p c.-à-d p.ex né vol éd art chap trad jr"
    ),
    "es": (
        "ee sr sra srta dr dra d.c a.c lic ing prof gral cnel av avda c.p etc p.ej núm pág vol ed aprox fam ee.uu "
        "jr sta sto"
    ),
    "en": (
        "mr mrs ms dr prof st mt ft gen col lt sgt capt rev hon jr sr inc ltd co corp bros vs etc e.g i.e ca cf no "
        "vol approx est lit abbr u.s u.k ph.d b.sc m.a"
    ),
    "it": "dott prof sig ing avv gen ecc ca cfr es lat ted ingl franc pag vol s.p.a a.c d.c",
    "pt": "sr sra dr dra prof eng gen av etc ex pág vol séc lit aprox a.c d.c",
    "pl": (
        "ang niem fr łac ros wł hiszp ur zm ok im ul np tzn tj tzw m.in prof dr inż gen św hab woj gm pow wg in nr str"
    ),
    "cs": "angl něm fr lat rus např tzv tj atd apod cca mj nar zem prof dr ing sv kpt gen ul",
    "sv": "bl.a t.ex d.v.s dvs ca eng ty fr lat resp osv m.fl m.m f.d s.k dr prof st född kl nr",
    "tr": "ing alm fr lat ar far prof dr doç yy vb vs yak bkz örn mah cad sok st hz",
    "ka": (
        "ინგლ გერმ ფრანგ ესპ იტალ რუს ლათ ბერძ არაბ სპარს თურქ ჩინ იაპ უკრ პოლ სომხ ებრ პორტ ნიდერლ შვედ ა.შ ე.წ "
        "ე.ი მაგ დაახ ძვ ახ წწ სს მლნ მლრდ ათ კმ კვ სმ ტ.ე დ.ა დაბ გარდ აკად პროფ მდ ტბ სოფ"
    ),
    "hy": (
        "անգլ գերմ ֆր ֆրանս իսպ իտալ ռուս լատ հուն արաբ պարսկ թուրք չին ճապ վրաց ուկր լեհ պորտ եբր ծնվ մահ թթ դդ "
        "մ.թ.ա մ.թ հզ մլն մլրդ կմ քառ օր այլն"
    ),
    "hi": "डॉ श्री प्रो सं ई.पू अंग्रेज़ी अंग्रेजी लि कि.मी",
    "ko": "no vol st mr dr jr inc ltd co",
    "ar": "هـ ق.م كم إنج",
}

ABBREVIATIONS = {lang: frozenset(words.split()) for lang, words in _WORDS.items()}
"""By language; those of `en` stand in texts of every language."""
